"""Where callers of the service are known from: a file of API tokens, and an OpenID provider."""
