"""What the credentials of a person say now, taken together: who has left a group, or the house."""
