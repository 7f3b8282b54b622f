"""Sign-in with an OpenID Connect provider: the authorization code flow with PKCE, from the first redirect to a principal."""
