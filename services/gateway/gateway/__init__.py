"""The door of Countersign: REST in, commands out, the read model and its queries. Decides nothing about runs."""
