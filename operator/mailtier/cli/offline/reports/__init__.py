"""Issues in the forms that people and pipelines read, one module a form."""
