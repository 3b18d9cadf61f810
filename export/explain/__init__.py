"""What a network looks at: heat maps of one decision, and the patches that excite a layer's channels most."""
