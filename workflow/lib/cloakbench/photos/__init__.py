"""From photographs to faces: data sets, images, detection, crops, who is drawn."""
