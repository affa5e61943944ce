"""The composition root: it alone names concrete adapters, each imported when it is needed."""
