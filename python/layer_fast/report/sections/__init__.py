"""What each section of the report shows, as plain data; templates/ lays it out."""
