// What `serve` says of itself, known to `retort` as well.
#include "retort/cli/command.h"

namespace retort {

CommandHelp serve_help() {
  return {.name = "serve",
          .summary = "answers requests for candidates over HTTP; new versions are swapped in",
          .examples =
              "  retort serve bundles/dmtl --port 8080\n"
              "  curl -d '{\"user\": \"u000123\", \"k\": 10}' localhost:8080/v1/retrieve\n"
              "  retort serve dmtl=bundles/dmtl click=bundles/click --split 0.9,0.1\n"
              "  retort serve bundles/dmtl --users lmdb:state/users --items state/items\n"
              "  retort serve bundles/dmtl --exposures log --explore 2\n"
              "  retort serve bundles/dmtl --address 0.0.0.0 --tokens tokens.txt \\\n"
              "    --certificate server.pem --key server.key\n",
          .executable = "retortd"};
}

}  // namespace retort
