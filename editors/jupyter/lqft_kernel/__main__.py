"""python -m lqft_kernel install [--prefix DIR]: makes the kernel known to Jupyter.
python -m lqft_kernel -f FILE: the kernel itself, as Jupyter starts it."""
import json
import os
import sys
import tempfile


def install(arguments):
    from jupyter_client.kernelspec import KernelSpecManager
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernel.json"), encoding="utf-8") as f:
        spec = json.load(f)
    spec["argv"][0] = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "kernel.json"), "w", encoding="utf-8") as f:
            json.dump(spec, f, indent=2)
        prefix = arguments[1] if arguments[:1] == ["--prefix"] and len(arguments) == 2 else None
        print(KernelSpecManager().install_kernel_spec(folder, "lqft", user=prefix is None, prefix=prefix))


def main():
    if sys.argv[1:2] == ["install"]:
        install(sys.argv[2:])
        return
    from ipykernel.kernelapp import IPKernelApp
    from .kernel import LqftKernel
    IPKernelApp.launch_instance(kernel_class=LqftKernel)


main()
