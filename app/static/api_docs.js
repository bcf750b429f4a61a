// Draws the API reference from the server's own OpenAPI document.
addEventListener("DOMContentLoaded", () => {
  const url = document.getElementById("api").dataset.openapi;
  SwaggerUIBundle({ url, dom_id: "#api", deepLinking: true, validatorUrl: null, tryItOutEnabled: false });
});
