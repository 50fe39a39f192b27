"""One reader a layout of files, and a table of them that recognizes by content."""
