"""OpenAI's Responses protocol: request bodies, streams, background responses, reading answers as chats."""
