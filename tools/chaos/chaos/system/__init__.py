"""The system that faults are injected into: servers, instances of services, consumer groups."""
