"""Export of an atlas as a folder of static pages."""
