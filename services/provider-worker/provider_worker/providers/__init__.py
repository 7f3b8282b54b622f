"""The AI providers, one behind another's back: each implements `AIProvider` and knows nothing of runs, Kafka or SQL."""
