"""The door of Sayso: REST in, commands out, the read model and its queries. Decides nothing about runs."""
