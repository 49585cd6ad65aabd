// A browser that does as its URL says, small enough to start a thousand times a second.
//
// The path of the last argument names the behaviour; without one, or with an unknown one, it exits with 64.
//   /exit/N  /signal/N  /sleep  /ignore-term  /stop-self  /flood  /stderr?text=T  /stderr-url
//   /life?file=F&ms=N&code=C  /double-fork?file=F  /dump?file=F  /late-write?file=F  /burn  /share?mb=M&n=N
//   /spend?ms=N&mb=M  /storm?file=F&n=N  /tell?file=F  /flood-on
//   with descriptors 3 and 4 open: /pipe-echo  /pipe-flood?n=N&size=S  /pipe-last-word?text=T  /pipe-ignore
// Under the name `silent`, whatever its arguments, it comes up and never says a word.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0) {
      if (errno == EINTR) continue;
      _exit(74);
    }
    bytes += written;
    length -= (size_t)written;
  }
}

// The value of a query parameter, up to '&', in a static buffer; exits with 65 when it is absent.
static const char *query(const char *url, const char *name) {
  static char value[8192];
  size_t name_len = strlen(name);
  const char *at = strchr(url, '?');
  while (at != NULL) {
    at++;
    if (strncmp(at, name, name_len) == 0 && at[name_len] == '=') {
      at += name_len + 1;
      size_t length = strcspn(at, "&#");
      if (length >= sizeof value) _exit(65);
      memcpy(value, at, length);
      value[length] = 0;
      return value;
    }
    at = strchr(at, '&');
  }
  _exit(65);
}

static int create(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) _exit(66);
  return fd;
}

static void leave_well(int signal) {
  (void)signal;
  _exit(0);
}

// Until killed; SIGTERM, or the end of the command pipe where there is one, ends it with 0 as it does Chromium.
static void sleep_on(void) {
  signal(SIGTERM, leave_well);
  char buffer[4096];
  if (fcntl(3, F_GETFD) >= 0)
    while (read(3, buffer, sizeof buffer) > 0) {
    }
  else
    for (;;) pause();
  _exit(0);
}

// Adds a line with its pid to the file, lives for N ms (for ever with 0), and exits with C.
static void live(const char *url) {
  int fd = open(query(url, "file"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) _exit(66);
  char line[32];
  write_all(fd, line, (size_t)snprintf(line, sizeof line, "%d\n", getpid()));
  close(fd);
  long ms = atol(query(url, "ms"));
  if (ms == 0) sleep_on();
  usleep((useconds_t)ms * 1000);
  _exit(atoi(query(url, "code")));
}

static void dump(const char *file, char **argv) {
  char path[64], target[4096];
  FILE *out = fdopen(create(file), "w");
  for (char **word = argv; *word; word++) fprintf(out, "arg %s\n", *word);
  for (char **word = environ; *word; word++) fprintf(out, "env %s\n", *word);
  DIR *fds = opendir("/proc/self/fd");
  for (struct dirent *entry; (entry = readdir(fds));) {
    int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(fds) || fd == fileno(out)) continue;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    fprintf(out, "fd %d %s\n", fd, target);
  }
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, NULL, &blocked);
  for (int number = 1; number < 32; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) fprintf(out, "ignored %d\n", number);
    if (sigismember(&blocked, number) == 1) fprintf(out, "blocked %d\n", number);
  }
  fprintf(out, "group %d pid %d\nend\n", getpgrp(), getpid());
  fclose(out);
  _exit(0);
}

// A grandchild in a session of its own that outlives its parent and tells its pid once it is on its own.
static void double_fork(const char *file) {
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    char text[32];
    int length = snprintf(text, sizeof text, "%d\n", getpid());
    int fd = create(file);
    write_all(fd, text, (size_t)length);
    close(fd);
    for (;;) pause();
  }
  sleep_on();
}

// Does nothing, while a grandchild in a session of its own, whose parent is gone, keeps a processor busy.
static void burn(void) {
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    for (volatile unsigned long turn = 0;; turn++) {
    }
  }
  wait(NULL);
  sleep_on();
}

// Fills so many MiB of memory and shares them with so many children, none of which writes to them.
static void share(long mb, long children) {
  // Kept where the compiler must believe that somebody reads it.
  static char *volatile memory;
  size_t length = (size_t)mb << 20;
  memory = malloc(length);
  if (memory == NULL) _exit(67);
  memset(memory, 's', length);
  for (long child = 0; child < children; child++)
    if (fork() == 0) sleep_on();
  sleep_on();
}

// A grandchild in a session of its own, whose parent is gone, fills so many MiB and uses up so many ms of processor
// time; with its end this one leaves, having done nothing.
static void spend(long ms, long mb) {
  static char *volatile memory;
  int told[2];
  if (pipe(told) != 0) _exit(67);
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    pid_t self = getpid();
    write_all(told[1], (char *)&self, sizeof self);
    memory = malloc((size_t)mb << 20);
    if (memory == NULL) _exit(67);
    memset(memory, 's', (size_t)mb << 20);
    struct timespec used;
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < ms);
    _exit(0);
  }
  pid_t spender;
  if (read(told[0], &spender, sizeof spender) != sizeof spender) _exit(67);
  // A process closes its files before it is gone: only once nobody has its number was it waited for.
  while (kill(spender, 0) == 0) usleep(1000);
  _exit(0);
}

// Chains of processes that ignore SIGTERM: each forks the next one into a session of its own and leaves, until there
// were so many in all; then the last of each chain stays. The file gets a line when it has begun in earnest.
static void storm(const char *file, long most) {
  long *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) _exit(67);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  int fd = create(file);
  for (int chain = 0; chain < 8; chain++) {
    if (fork() != 0) continue;
    for (;;) {
      long number = __sync_add_and_fetch(made, 1);
      if (number == 200) write_all(fd, "storm\n", 6);
      if (number >= most)
        for (;;) pause();
      setsid();
      if (fork() != 0) _exit(0);
    }
  }
  for (;;) pause();
}

// Writes what comes out of a named pipe on its standard error, until it is told to leave: by a signal, or by "!exit".
static void tell(const char *file) {
  static char buffer[1 << 16];
  signal(SIGTERM, leave_well);
  // Both ends, so that it never ends.
  int fd = open(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) _exit(66);
  ssize_t length;
  while ((length = read(fd, buffer, sizeof buffer)) > 0) {
    write_all(2, buffer, (size_t)length);
    if (length >= 6 && memcmp(buffer + length - 6, "!exit\n", 6) == 0) _exit(0);
  }
  _exit(74);
}

static void flood(void) {
  static char block[1 << 16];
  memset(block, 'f', sizeof block);
  for (int sent = 0; sent < (1 << 14); sent++) write_all(1, block, sizeof block);
  write_all(1, "the end\n", 8);
}

static void echo(void) {
  static char buffer[1 << 16];
  ssize_t length;
  while ((length = read(3, buffer, sizeof buffer)) > 0) write_all(4, buffer, (size_t)length);
  _exit(0);
}

// Messages "<index>:xxx" of the given size.
static void flood_pipe(long count, long size) {
  char *message = malloc((size_t)size + 32);
  for (long index = 0; index < count; index++) {
    int head = snprintf(message, 32, "%ld:", index);
    memset(message + head, 'x', (size_t)size);
    message[size > head ? size : head] = 0;
    write_all(4, message, (size_t)(size > head ? size : head) + 1);
  }
}

int main(int argc, char **argv) {
  const char *name = strrchr(argv[0], '/');
  if (name != NULL && strcmp(name, "/silent") == 0)
    for (;;) pause();
  const char *url = argc > 1 ? argv[argc - 1] : "";
  const char *path = strstr(url, "://");
  path = path ? strchr(path + 3, '/') : NULL;
  if (path == NULL) return 64;
  size_t length = strcspn(path, "?#");
#define IS(name) (length == sizeof name - 1 && memcmp(path, name, length) == 0)

  if (strncmp(path, "/exit/", 6) == 0) _exit(atoi(path + 6));
  if (strncmp(path, "/signal/", 8) == 0) {
    kill(getpid(), atoi(path + 8));
    for (;;) pause();
  }
  if (IS("/sleep")) sleep_on();
  if (IS("/life")) live(url);
  if (IS("/ignore-term")) {
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  }
  if (IS("/stop-self")) {
    raise(SIGSTOP);
    for (;;) pause();
  }
  if (IS("/flood")) {
    flood();
    _exit(0);
  }
  if (IS("/flood-on")) {
    flood();
    sleep_on();
  }
  if (IS("/tell")) tell(query(url, "file"));
  if (IS("/stderr")) {
    const char *text = query(url, "text");
    write_all(2, text, strlen(text));
    _exit(1);
  }
  if (IS("/stderr-url")) {
    write_all(2, url, strlen(url));
    _exit(1);
  }
  if (IS("/double-fork")) double_fork(query(url, "file"));
  if (IS("/burn")) burn();
  if (IS("/share")) {
    long mb = atol(query(url, "mb"));
    share(mb, atol(query(url, "n")));
  }
  if (IS("/spend")) {
    long ms = atol(query(url, "ms"));
    spend(ms, atol(query(url, "mb")));
  }
  if (IS("/storm")) {
    long most = atol(query(url, "n"));
    storm(query(url, "file"), most);
  }
  if (IS("/dump")) dump(query(url, "file"), argv);
  if (IS("/late-write")) {
    const char *file = query(url, "file");
    if (fork() == 0) {
      // Keeps making files where it is told to, until it is killed: a directory cannot be removed under it at once.
      for (long index = 0;; index++) {
        char name[8300];
        snprintf(name, sizeof name, "%s/late-%ld", file, index);
        close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        if (index == 0) write_all(1, "writing\n", 8);
      }
    }
    for (;;) {
      char name[8300];
      snprintf(name, sizeof name, "%s/late-0", file);
      if (access(name, F_OK) == 0) _exit(0);
    }
  }
  if (IS("/pipe-echo")) echo();
  if (IS("/pipe-flood")) {
    long count = atol(query(url, "n"));
    flood_pipe(count, atol(query(url, "size")));
    _exit(0);
  }
  if (IS("/pipe-last-word")) {
    const char *text = query(url, "text");
    write_all(4, text, strlen(text) + 1);
    _exit(0);
  }
  if (IS("/pipe-ignore")) for (;;) pause();
  return 64;
}
