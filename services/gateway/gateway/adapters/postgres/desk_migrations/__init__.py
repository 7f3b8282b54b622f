"""The schema `desk`, in numbered files: what people keep for themselves, which no history has."""
