"""Who calls: a credential in, a principal out. Decides nothing about what the principal may do."""
