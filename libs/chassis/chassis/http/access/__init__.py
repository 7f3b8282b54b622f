"""Who may use a service: by which names it is asked, and by which pages."""
