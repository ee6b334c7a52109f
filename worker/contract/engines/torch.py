"""The torch engine: networks that loaders build with torch, on CPUs and NVIDIA GPUs."""

from worker.contract.declarations import TORCH, EngineDeclaration, WorkerImage

ENGINE = EngineDeclaration(
    name="torch",
    reads=(TORCH,),
    cpu=("f32", "bf16"),
    gpu=("f32", "bf16", "fp16"),
    memory_mb=450,
    image=WorkerImage("torch", ("base", "torch-cpu")),
    gpu_image=WorkerImage("cuda", ("base", "torch-cuda")),
)
