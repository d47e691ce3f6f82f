"""A session of `lqft repl --json`: one JSON object a line each way.  Needs Python alone."""
import json
import os
import signal
import subprocess


class Session:
    def __init__(self, command=None, arguments=()):
        command = command or os.environ.get("LQFT", "lqft")
        # a group of its own: what interrupts the kernel reaches the session through interrupt()
        self.process = subprocess.Popen([command, "repl", "--json", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        start_new_session=True)
        self.number = 0
        self.waiting = b""

    def ask(self, code, type="execute", **more):
        """The answer to a request; KeyboardInterrupt stops what runs, and the answer says so."""
        self.number += 1
        request = {"id": self.number, "type": type, "code": code, **more}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            try:
                reply = json.loads(self.line())
            except KeyboardInterrupt:
                self.interrupt()
                continue
            if reply.get("id") == self.number:
                return reply

    def line(self):
        # by hand, so that an interruption in the midst of a line loses nothing
        while b"\n" not in self.waiting:
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                raise EOFError("lqft has ended")
            self.waiting += part
        line, self.waiting = self.waiting.split(b"\n", 1)
        return line

    def interrupt(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
