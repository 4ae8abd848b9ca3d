/** What programs print when they fail, and what its reader can do about it. */
const explanations: [symptom: RegExp, explanation: string][] = [
  [
    /npm ci.* can only install (?:packages )?(?:with an existing|when your) package(?:-lock)?\.json/,
    "package.json and package-lock.json do not fit together: run `npm install`, commit package-lock.json, push again.",
  ],
  [
    /Your lockfile needs to be updated|The lockfile would have been modified/,
    "package.json and yarn.lock do not fit together: run `yarn install`, commit yarn.lock, push again.",
  ],
  [
    /ERR_PNPM_OUTDATED_LOCKFILE|ERR_PNPM_LOCKFILE_CONFIG_MISMATCH/,
    "package.json and pnpm-lock.yaml do not fit together: run `pnpm install`, commit pnpm-lock.yaml, push again.",
  ],
  [
    /lockfile had changes, but lockfile is frozen/,
    "package.json and bun.lock do not fit together: run `bun install`, commit bun.lock, push again.",
  ],
  [
    /JavaScript heap out of memory/,
    "Node.js ran out of memory: give it more with the config var NODE_OPTIONS=--max-old-space-size=4096 (in MB).",
  ],
  [
    /npm (?:error|ERR!) code E40[13]|ERR_PNPM_FETCH_40[13]/,
    "The package registry refused the login: is the token in the config vars (for example NPM_TOKEN) still good?",
  ],
  [
    /npm (?:error|ERR!) code E404|ERR_PNPM_FETCH_404|error Couldn't find package/,
    "A package in package.json is not in the registry: is its name right, or does a private one need a login?",
  ],
  [
    /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(?:GET|VERIFY)_[A-Z_]*(?:CERT|SIGNATURE)/,
    "The registry's certificate is not trusted here: the operator can give the builds a certificate authority (NODE_EXTRA_CA_CERTS).",
  ],
  [
    /\b(?:ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET)\b/,
    "A server could not be reached: try again, or ask the operator whether builds need a proxy.",
  ],
  [
    /Cannot fork|fork: retry|Resource temporarily unavailable|spawn\S* EAGAIN/i,
    "The build has used up the processes that it may have: does it start them without end?",
  ],
  [
    /node-gyp|gyp ERR!/,
    "A native module could not be compiled: does the stack have its compiler and libraries, and does the module support this version of Node.js?",
  ],
  [
    /Cannot find module|ERR_MODULE_NOT_FOUND|: not found$/m,
    "Something that the build needs is missing: is it in `dependencies` or `devDependencies`, and is its file committed with the same upper and lower case?",
  ],
];

export function explainFailure(output: string): string[] {
  const found = explanations.find(([symptom]) => symptom.test(output));
  return found ? [found[1]] : [];
}
