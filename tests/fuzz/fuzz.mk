# fuzz.mk -- builds and runs the fuzzers: `make fuzz [FUZZ_SECONDS=30]` calls it in the build folder.
#
#   make -f SRC/tests/fuzz/fuzz.mk SRC=SRC [FUZZ_SECONDS=N] [TARGETS="rpc_frame ..."]
#
# Needs clang with libFuzzer.  Only the files that a decoder is made of are compiled, once for all targets, with
# sanitizers; the linker drops what no target reaches.  Each target runs on a corpus that corpus.py makes; the first
# finding fails it and stays in fuzz/TARGET/.  New inputs that reach more stay there too, in corpus/.
CC_FUZZ = $(shell command -v ccache) clang
FUZZ_SECONDS = 30
SAN = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS_FUZZ = -std=gnu17 -g -O1 -D_GNU_SOURCE -DMILLRACE_VERSION=\"fuzz\" -ffunction-sections -fdata-sections $(SAN) -I$(SRC) -I.
LINK = clang $(SAN) -fsanitize=fuzzer -Wl,--gc-sections -o $@
LIBS = -lprotobuf-c -llz4 -lcrypto -lisal -lexpat -linih -lmicrohttpd -lsqlite3 -lpthread -lm

BASE = arena buf near check log mem rc
CORE = $(BASE:%=core/base/%)
CONF = core/conf/conf core/conf/file core/conf/suggest core/conf/value core/net/addr
PB = rpc hdfs client_namenode client_datanode datatransfer admin datanode jobtracker task
MESSAGES = $(PB:%=core/proto/%.pb-c)

rpc_frame = core/rpc/decode core/rpc/dispatch core/rpc/frame $(MESSAGES)
request   = core/rpc/decode core/rpc/method core/rpc/protocols $(MESSAGES)
dtp       = core/proto/dtp core/rpc/decode $(MESSAGES)
report    = namenode/report
replica   = datanode/layout core/io/crc
http      = core/http/route core/proto/job_id
conf      = $(CONF)
shuffle   = tasktracker/shuffle_wire
segment   = libmr/seg core/io/crc
task      = tasktracker/chan tasktracker/pipes_posix $(MESSAGES)
log       = namenode/txlog namenode/edit
elf       = libmr/elf libmr/note core/io/path
# Their files also hold code that applies what was decoded, to tables that are not here; coming there ends the fuzzer.
PARTS     = log
TARGETS   = rpc_frame request dtp report replica http conf shuffle segment task log elf

all: $(TARGETS:%=run-%)
	@python3 $(SRC)/tests/results/record.py fuzz "make fuzz FUZZ_SECONDS=$(FUZZ_SECONDS)" decoders=$(words $(TARGETS)) \
	  inputs=$$(cat fuzz/*/fuzz.log | awk '/^stat::number_of_executed_units/ { n += $$2 } END { printf "%d", n }') crashes=0 \
	  $(if $(filter-out 1 2 3 4 5 6 7 8 9 10 20 30,$(FUZZ_SECONDS)),--long)
.PHONY: all $(TARGETS:%=run-%)
.SECONDARY:

fuzz/obj/%.o: $(SRC)/%.c
	@mkdir -p $(@D)
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -MMD -MP -c -o $@ $<
fuzz/obj/%.pb-c.o: core/proto/%.pb-c.c
	@mkdir -p $(@D)
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -MMD -MP -c -o $@ $<
fuzz/obj/core/proto/%.pb-c.o: core/proto/%.pb-c.c
	@mkdir -p $(@D)
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -MMD -MP -c -o $@ $<
-include $(shell find fuzz/obj -name '*.d' 2>/dev/null)

.SECONDEXPANSION:
fuzz/fuzz_%: fuzz/obj/tests/fuzz/fuzz_%.o $$(addsuffix .o,$$(addprefix fuzz/obj/,$$(CORE) $$($$*)))
	@$(LINK) $(sort $^) $(LIBS) 2>$@.undefined || { $(if $(filter $*,$(PARTS)),\
	  sed -n "s/.*undefined reference to .\\(.*\\)'$$/\\1/p" $@.undefined | sort -u | \
	    awk 'BEGIN { print ".section .note.GNU-stack\n.text" } { print ".globl " $$1 "\n" $$1 ": .long 0" }' >$@.s && $(LINK) $(sort $^) $@.s $(LIBS),cat $@.undefined; false); }

fuzz/corpus: $(SRC)/tests/fuzz/corpus.py $(wildcard $(SRC)/core/proto/*.def $(SRC)/core/proto/*.proto $(SRC)/tests/fuzz/corpus/*/*)
	@python3 $< $(SRC) $@ && touch $@

$(TARGETS:%=run-%): run-%: fuzz/fuzz_% fuzz/corpus
	@mkdir -p fuzz/$*/corpus && cp fuzz/corpus/$*/* fuzz/$*/corpus/
	@cd fuzz/$* && ../fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
	  -print_final_stats=1 corpus >fuzz.log 2>&1 || { grep -v "^\#" fuzz.log | head -n 60; echo "fuzz_$*: failed, see fuzz/$*"; exit 1; }
	@sed -n 's/^stat::number_of_executed_units: *\(.*\)/fuzz_$*: \1 inputs/p' fuzz/$*/fuzz.log
