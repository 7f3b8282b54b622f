"""The Chat Completions protocol: OpenAI's, which HuggingFace's router and many other servers speak as well. Names no vendor's SDK."""
