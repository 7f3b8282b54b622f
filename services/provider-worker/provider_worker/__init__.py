"""Talks to the AI providers: takes orders, carries them out, answers with facts. Decides nothing about a run."""
