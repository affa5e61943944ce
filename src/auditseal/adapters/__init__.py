"""What stands behind the ports: stores and signers."""
