"""The kernel: what Jupyter asks, put to a session."""
from ipykernel.kernelbase import Kernel

from .session import Session


class LqftKernel(Kernel):
    implementation = "lqft"
    implementation_version = "0.1"
    banner = "lqft"
    language_info = {"name": "lqft", "mimetype": "text/x-lqft", "file_extension": ".lqft", "pygments_lexer": "lqft"}

    def __init__(self, **more):
        super().__init__(**more)
        self.lqft = Session()

    def stream(self, name, text):
        self.send_response(self.iopub_socket, "stream", {"name": name, "text": text})

    def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, **more):
        if not code.strip():
            return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}
        try:
            reply = self.lqft.ask(code)
        except (EOFError, BrokenPipeError):
            self.lqft.close()
            self.lqft = Session()
            reply = {"status": "error", "text": "lqft has ended; a new session begins\n"}
        good = reply["status"] == "ok"
        if not silent:
            if reply.get("text"):
                self.stream("stdout" if good else "stderr", reply["text"])
            for svg in reply.get("svg", []):
                self.send_response(self.iopub_socket, "display_data", {"data": {"image/svg+xml": svg}, "metadata": {}})
        if good:
            return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}
        first = (reply.get("diagnostics") or [{}])[0]
        return {"status": "error", "execution_count": self.execution_count, "ename": first.get("code", reply["status"]),
                "evalue": first.get("text", ""), "traceback": []}

    def do_complete(self, code, cursor_pos):
        reply = self.lqft.ask(code, "complete", cursor=cursor_pos)
        return {"status": "ok", "matches": reply["names"], "cursor_start": reply["start"], "cursor_end": reply["end"], "metadata": {}}

    def do_inspect(self, code, cursor_pos, detail_level=0, omit_sections=()):
        reply = self.lqft.ask(code, "inspect", cursor=cursor_pos)
        return {"status": "ok", "found": reply["found"], "metadata": {}, "data": {"text/plain": reply["text"]} if reply["found"] else {}}

    def do_is_complete(self, code):
        return {"status": self.lqft.ask(code, "is_complete")["status"], "indent": "  "}

    def do_shutdown(self, restart):
        self.lqft.close()
        return {"status": "ok", "restart": restart}
