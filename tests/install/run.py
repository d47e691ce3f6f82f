#!/usr/bin/env python3
"""Installation: into a folder with a blank in its name, which is moved after it; the Debian
package, unpacked.

    tests/install/run.py --lqft PATH --build DIR [-v] [NAME …]

The installed lqft must take its library and its code generator from where it lies, give the
numbers of the one that was built, and its runtime must serve a program in C, through
pkg-config and through CMake.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import script

ROOT = script.ROOT
BUILD = script.path("--build", "build")
LQFT = script.path("--lqft", "build/lqft")


def call(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, **more)


class Installed(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="lqft-install-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def good(self, *command, **more):
        done = call(*command, **more)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")
        return done

    def install(self):
        """The prefix after the move."""
        first, then = os.path.join(self.folder, "a first place"), os.path.join(self.folder, "moved here")
        self.good("cmake", "--install", BUILD, "--prefix", first)
        os.rename(first, then)
        return then

    def works(self, prefix):
        """lqft below the prefix, which knows nothing but where it lies."""
        program = os.path.join(prefix, "bin", "lqft")
        clean = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "LQFT_CACHE": os.path.join(self.folder, "cache")}
        model = os.path.join(self.folder, "model.lqft")
        with open(model, "w", encoding="utf-8") as f:
            f.write("import samplers.hmc\nlattice X = torus(8)\nfield x[X] : real\naction S(x) = sum[n in X] ((x[n + 1] - x[n])^2/2 + x[n]^2/2)\n"
                    "sample x ~ exp(-S(x)) with hmc() { chains = 4  warmup = 50  draws = 50 }\nreport s = E[S]\n")
        # code is made, by the generator of this installation
        done = self.good(program, "run", model, "--seed", "3", "--quiet", "--json", env=dict(clean, LD_DEBUG="files"))
        makers = set(re.findall(r"(?m)calling init: (.*lqft_llvm\.so)$", done.stderr))
        self.assertEqual([os.path.realpath(m) for m in makers], [os.path.join(prefix, "lib", "lqft", "lqft_llvm.so")])
        built = self.good(LQFT, "run", model, "--seed", "3", "--quiet", "--json", env=clean)
        self.assertEqual(json.loads(done.stdout)["report"], json.loads(built.stdout)["report"])
        # messages about the library name its place
        with open(model, "a", encoding="utf-8") as f:
            f.write("sample x ~ exp(-S(x)) with hmc(1)\n")
        done = call(program, "check", model, env=clean)
        place = re.search(r"in (\S.*hmc\.lqft)", done.stderr)
        self.assertIsNotNone(place, done.stderr)
        self.assertEqual(os.path.realpath(os.path.join(self.folder, place[1])), os.path.join(prefix, "share", "lqft", "stdlib", "samplers", "hmc.lqft"))
        # through a link, as a user may put it into his path
        link = os.path.join(self.folder, "linked")
        if not os.path.lexists(link):
            os.symlink(program, link)
        self.good(link, "run", os.path.join(prefix, "share", "doc", "lqft", "examples", "oscillator.lqft"), "draws=10", "warmup=10", "--quiet",
                  "--out", tempfile.mkdtemp(dir=self.folder), env=clean)

    def test_moved(self):
        prefix = self.install()
        self.works(prefix)
        commands = re.findall(r"^(?:usage:|      ) lqft (\w+)", self.good(os.path.join(prefix, "bin", "lqft"), "--help").stdout, re.M)
        pages = os.listdir(os.path.join(prefix, "share", "man", "man1"))
        self.assertEqual(sorted(pages), sorted(["lqft.1"] + [f"lqft-{c}.1" for c in commands]))
        for page in pages:
            self.assertGreater(os.path.getsize(os.path.join(prefix, "share", "man", "man1", page)), 200)
        for path in ("man/man7/lqft-prelude.7", "bash-completion/completions/lqft", "zsh/site-functions/_lqft", "fish/vendor_completions.d/lqft.fish",
                     "vim/vimfiles/syntax/lqft.vim", "emacs/site-lisp/lqft-mode.el", "doc/lqft/html/index.html", "doc/lqft/reference.md"):
            self.assertTrue(os.path.exists(os.path.join(prefix, "share", path)), path)
        self.runtime_by_cmake(prefix)
        self.runtime_by_pkg_config(prefix)

    def runtime_by_cmake(self, prefix):
        source = os.path.join(self.folder, "with cmake")
        os.makedirs(source)
        shutil.copy(os.path.join(ROOT, "tests", "install", "consumer.c"), source)
        with open(os.path.join(source, "CMakeLists.txt"), "w", encoding="utf-8") as f:
            f.write("cmake_minimum_required(VERSION 3.20)\nproject(consumer C)\nfind_package(lqft-runtime 0.1 REQUIRED)\n"
                    "add_executable(consumer consumer.c)\ntarget_link_libraries(consumer PRIVATE lqft::lqft_runtime)\n")
        build = os.path.join(source, "build")
        self.good("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
        self.good("cmake", "--build", build)
        self.good(os.path.join(build, "consumer"))

    def runtime_by_pkg_config(self, prefix):
        if not shutil.which("pkg-config"):
            print("pkg-config is not installed: its file is not tried")
            return
        path = next(os.path.join(folder, "") for folder, _, names in os.walk(os.path.join(prefix, "lib")) if "lqft-runtime.pc" in names)
        environment = dict(os.environ, PKG_CONFIG_PATH=path)
        self.assertEqual(self.good("pkg-config", "--modversion", "lqft-runtime", env=environment).stdout.strip(),
                         self.good(LQFT, "--version").stdout.split()[1])
        flags = self.good("pkg-config", "--cflags", "--libs", "lqft-runtime", env=environment).stdout.strip()
        out = os.path.join(self.folder, "by-pkg-config")
        self.good("sh", "-c", f'cc "{ROOT}/tests/install/consumer.c" -o "{out}" {flags}')
        self.good(out)

    @unittest.skipUnless(shutil.which("dpkg-deb"), "dpkg-deb is not installed")
    def test_debian_package(self):
        self.good("cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-G", "DEB", "-B", self.folder, cwd=self.folder)
        package = next(os.path.join(self.folder, n) for n in os.listdir(self.folder) if n.endswith(".deb"))
        self.assertRegex(os.path.basename(package), r"^lqft_\d+\.\d+.*_\w+\.deb$")
        control = self.good("dpkg-deb", "-f", package).stdout
        self.assertIn("Package: lqft\n", control)
        for library in ("libc6", "libjansson4", "zlib1g"):
            self.assertRegex(control, rf"(?m)^Depends: .*\b{library}")
        shared = "libLLVM" in self.good("ldd", os.path.join(BUILD, "lqft_llvm.so")).stdout        # else it is inside
        self.assertEqual(shared, re.search(r"(?m)^Depends: .*\blibllvm", control) is not None)
        root = os.path.join(self.folder, "unpacked root")
        self.good("dpkg-deb", "-x", package, root)
        self.assertEqual(os.listdir(root), ["usr"])
        self.works(os.path.join(root, "usr"))


if __name__ == "__main__":
    unittest.main()
