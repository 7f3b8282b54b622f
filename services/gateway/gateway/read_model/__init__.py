"""The read model at work: kept, rebuilt, waited for."""
