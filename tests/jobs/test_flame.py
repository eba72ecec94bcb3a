"""bench/flame.py and perf_data.py: what perf wrote becomes a flame graph with the right sums."""
import os
import struct
import sys
import unittest
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "bench"), os.path.join(TOP, "tests", "cluster")]
import flame  # noqa: E402
import perf_data  # noqa: E402
from harness import main  # noqa: E402

PERF = """\
perf-exec     0/0         0.000000: PERF_RECORD_COMM: perf-exec:1/1
tasktracker 10/10 1.0: PERF_RECORD_COMM exec: tasktracker:10/10
tasktracker 10/10 1.1: PERF_RECORD_FORK(11:11):(10:10)
tasktracker 10/10 1.1: PERF_RECORD_FORK(10:12):(10:10)
tt-beat 10/12 1.1: PERF_RECORD_COMM: tt-beat:10/12
tasktracker 11/11 2.0:    2000000 cpu-clock:pppH: 
\t    1255 map (/memfd:job (deleted))
\t   4fbc8 give_batch.constprop.0 (/build/bin/tasktracker)
\t   3cdd4 worker_main (/build/bin/tasktracker)
\t   30000 main (/build/bin/tasktracker)

tasktracker 11/11 2.1:    3000000 cpu-clock:pppH: 
\tffffffff81f clear_page ([kernel.kallsyms])
\t  fed0a pread64 (/usr/lib/libc.so.6)
\t   4fbc8 give_batch (/build/bin/tasktracker)
\tffffffffffffffff [unknown] ([unknown])

tt-beat 10/12 2.2:    1000000 cpu-clock:pppH: 
\t   1234 [unknown] (/usr/lib/libx<y>.so.1)
\t   2345 main (/build/bin/tasktracker)

python3 99/99 2.3:    8000000 cpu-clock:pppH: 
\t   1 main (/usr/bin/python3)

mr 13/13 9.0:    8000000 cpu-clock:pppH: 
\t   1 main (/build/bin/mr)

""".splitlines(True)
SVG = "{http://www.w3.org/2000/svg}"


class Flame(unittest.TestCase):
    def setUp(self):
        self.stacks = flame.read(PERF, [(1.5, 5.0)], [99], ("/build/",))

    def test_samples_outside_the_window_and_of_other_processes_are_left_out(self):
        self.assertEqual((self.stacks.samples, self.stacks.total()), (3, 6000000))
        self.assertEqual(flame.by_process(self.stacks), [("worker", 5000000), ("tasktracker", 1000000)])

    def test_frames_are_whose_code_they_are(self):
        self.assertEqual(flame.by_kind(self.stacks), {"job": 2000000, "kernel": 3000000, "lib": 1000000})
        self.assertIn((flame.Frame("map", "job"), 2000000), flame.by_function(self.stacks))

    def test_stack_cut_at_its_lower_end_stands_on_what_is_below_it_elsewhere(self):
        paths = {tuple(f.name for f in p) for p in self.stacks.weights}
        self.assertIn(("worker", "main", "worker_main", "give_batch", "pread64", "clear_page"), paths)
        self.assertIn(("tasktracker", "tt-beat", "main", "[libx<y>.so.1]"), paths)

    def test_lower_ends_come_over_several_stacks_and_recursion_ends(self):
        def path(names):
            return tuple([flame.Frame("p", "process")] + [flame.Frame(n, "ours") for n in names.split()])
        got = flame.mend({path("main a b"): 1, path("b c"): 2, path("c d"): 4, path("d e d"): 8, path("x y"): 16, path("y x"): 32})
        self.assertEqual(got[path("main a b c d")], 4)
        self.assertEqual(got[path("main a b c d e d")], 8)
        self.assertEqual(sum(got.values()), 63)

    def test_picture_is_well_formed_and_frames_are_as_wide_as_their_share(self):
        root = ET.fromstring(flame.svg(self.stacks, "a <row>", ["1 & 2"]))
        frames = {g.find(SVG + "title").text.split("\n")[0]: g for g in root.iter(SVG + "g")}
        for name, part in {"worker": 5 / 6, "tasktracker": 1 / 6, "give_batch": 5 / 6, "map": 2 / 6, "[libx<y>.so.1]": 1 / 6}.items():
            self.assertAlmostEqual(float(frames[name].get("data-w")), part, places=5)
        self.assertIn("0.005 s, 83.33 %", frames["worker"].find(SVG + "title").text)
        for g in root.iter(SVG + "g"):
            rect = g.find(SVG + "rect")
            self.assertLessEqual(float(rect.get("x")) + float(rect.get("width")), flame.WIDTH)

    def test_nothing_measured_is_an_empty_picture(self):
        stacks = flame.read([])
        self.assertEqual(stacks.total(), 0)
        self.assertIsNone(ET.fromstring(flame.svg(stacks, "none")).find(SVG + "g"))

    def test_forks_of_processes_that_exec_are_marked_and_no_others(self):
        def record(kind, misc, *words):
            return struct.pack(f"<IHH{len(words)}I", kind, misc, 8 + 4 * len(words), *words)
        fork = [record(perf_data.FORK, 0, pid, parent, pid, parent) for pid, parent in ((11, 10), (12, 10), (12, 12))]
        body = b"".join(fork + [record(perf_data.COMM, perf_data.EXEC, 12, 12, 0), record(perf_data.COMM, 0, 11, 11, 0)])
        data = bytearray(b"PERFILE2" + bytes(32) + struct.pack("<QQ", 56, len(body)) + body)
        self.assertEqual(perf_data.mark_execs(data), 1)
        self.assertEqual([misc for _, kind, misc in perf_data.records(data) if kind == perf_data.FORK], [0, perf_data.EXEC, 0])


if __name__ == "__main__":
    main()
