"""What calls may cost."""
