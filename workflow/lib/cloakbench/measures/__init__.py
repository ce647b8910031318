"""What a recogniser makes of the faces that were found again. Imports no attack."""
