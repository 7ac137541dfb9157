"""What saved runs show: figures and videos. Reads files and arrays only."""
