// SPDX-License-Identifier: Apache-2.0
#include "bench/servers.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "bench/bench.hpp"

namespace artcache::bench {
namespace {

constexpr int kCannotRun = 77;

int services(const std::string& arguments) {
  const int status = std::system((std::string(ARTCACHE_SERVICES) + " " + arguments).c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

Servers::Servers(std::string name) : name_(std::move(name)) {
  char folder[] = "/tmp/artcache-bench-XXXXXX";
  if (::mkdtemp(folder) == nullptr) give_up("no temporary folder");
  folder_ = folder;
  const std::string state = "--state " + folder_ + "/state.json ";
  const int up = services("up " + state + "--allow-missing --owner " + std::to_string(::getpid()) +
                          " " + name_ + " >&2");
  if (up != 0 && up != kCannotRun) give_up(name_ + " does not start");
  running_ = services("run " + state + "--need " + name_ + " -- true >&2") == 0;
}

Servers::~Servers() {
  services("down --state " + folder_ + "/state.json >&2");
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string Servers::value(const std::string& variable) const {
  const std::string command = std::string(ARTCACHE_SERVICES) + " run --state " + folder_ +
                              "/state.json --need " + name_ + " -- printenv " + variable;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) give_up("cannot run " + command);
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF && c != '\n'; c = std::fgetc(pipe))
    text.push_back(static_cast<char>(c));
  if (::pclose(pipe) != 0) give_up(variable + " is not set");
  return text;
}

}  // namespace artcache::bench
