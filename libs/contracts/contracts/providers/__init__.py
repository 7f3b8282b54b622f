"""What services say about providers: what can be called, what is called, what came back."""
