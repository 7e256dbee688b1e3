"""The annotation spreadsheet: page, files, imports, consensus."""
