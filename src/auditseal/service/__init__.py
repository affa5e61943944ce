"""What is done with a log: append, seal, audit, export. Over the core and the ports alone."""
