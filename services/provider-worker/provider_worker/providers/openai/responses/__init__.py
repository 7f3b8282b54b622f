"""OpenAI's Responses protocol: what is sent, how its answers are heard, waited for and read. Its answers amount to what chats amount to."""
