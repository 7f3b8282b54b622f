// Shows the OpenAPI document of this origin. It asks no other host: no validator's badge either.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#documents",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
