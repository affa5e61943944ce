"""The composition root: it alone names concrete adapters."""
