"""The measured system: servers, services, gauges."""
