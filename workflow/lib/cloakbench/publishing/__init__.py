"""What becomes of a crafted face: stored, and found again."""
