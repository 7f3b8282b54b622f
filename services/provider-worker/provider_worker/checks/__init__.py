"""Looking at payloads and responses before people or policy do: custom checks, and budgets as one of them."""
