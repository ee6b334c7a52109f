"""The routes, a module for each API: `blueprint(service)` answers them, `paths(settings)` describes them."""

from worker.api.routes import health, hugging_face, inference_protocol, models, predict, tensorflow_serving, torchserve

# In the order of the OpenAPI document; Triton's extensions are part of the Open Inference Protocol's module.
APIS = (predict, models, hugging_face, inference_protocol, tensorflow_serving, torchserve, health)
