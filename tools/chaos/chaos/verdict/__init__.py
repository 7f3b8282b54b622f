"""The verdict after a fault: the laws, their breaches counted, the read model compared."""
