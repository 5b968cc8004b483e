"""Reading, listing and writing files, wherever they lie."""
