"""The connect page: its template, its static files and its languages."""
