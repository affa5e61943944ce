"""What applications import to record events: clients of the service, and the same over a log of their own."""
