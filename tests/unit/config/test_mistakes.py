"""Every mistake of a project, one row each: code, place, words. And together: all of them at once, sorted, none hiding another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.config.codes import CODES
from gitops.model.diagnostic import Diagnostic
from gitops.pipeline.project import Examined, examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.project import PROJECT, write_files

OTHER = "---\napiVersion: gitops/v1\nkind: Host\nmetadata: {name: b, labels: {env: b}}\n"
DOMAIN = PROJECT + "  vars: {domain: example.org}\n  secrets:\n    token: {from: env, key: TOKEN}\n"
HEAD = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production, role: web}}
spec:
"""
MODULE = """\
apiVersion: gitops/v1
kind: Module
metadata: {name: nginx}
spec:
  params:
    port: {type: integer, minimum: 1, default: 80}
    name: {type: string, pattern: "^[a-z]+$", default: site}
  resources:
    - package: nginx
    - file: /etc/nginx/${params.name}.conf
      template: site.conf.j2
      notify: [service:nginx]
    - service: nginx
"""
BASE = {
    "gitops.yaml": DOMAIN,
    "inventory/web.yaml": HEAD + "  resources: []\n",
    "modules/nginx/module.yaml": MODULE,
    "modules/nginx/templates/site.conf.j2": "listen {{ params.port }};\n",
}


def host(text: str) -> dict[str, str]:
    """The base with a host whose spec begins at line 5 of inventory/web.yaml."""
    return {**BASE, "inventory/web.yaml": HEAD + text}


def with_file(path: str, content: str | bytes) -> dict[str, str | bytes]:
    return {**BASE, path: content}


def template(text: str) -> dict[str, str]:
    return {**host("  modules: [nginx]\n"), "modules/nginx/templates/site.conf.j2": text}


def use(params: str) -> dict[str, str]:
    return host(f"  modules:\n    - name: nginx\n      params: {params}\n")


def examine(folder: Path, files: Mapping[str, str | bytes]) -> Examined:
    return examine_tree(snapshot_folder(write_files(folder, files)))


WEB, SITE, GITOPS, NGINX = (
    "inventory/web.yaml",
    "modules/nginx/templates/site.conf.j2",
    "gitops.yaml",
    "modules/nginx/module.yaml",
)
ROWS = [
    ("unknown key", host("  resources:\n    - file: /a\n      contents: x\n"), "C104", (WEB, 7, 7), ["unknown key `contents` in file:/a", "did you mean `content`?", "content, "]),
    ("unknown key of a document", host("  resorces: []\n"), "C104", (WEB, 5, 3), ["`resorces`", "did you mean `resources`?"]),
    ("unknown kind of document", with_file("x.yaml", "kind: Hots\n"), "C101", ("x.yaml", 1, 7), ["'Hots'", "did you mean `Host`?"]),
    ("document without kind", with_file("x.yaml", "a: 1\n"), "C101", ("x.yaml", 1, 1), ["has no `kind`", "Project, Host"]),
    ("no map", with_file("x.yaml", "- 1\n"), "C101", ("x.yaml", 1, 1), ["a document is a list", "expected a map"]),
    ("wrong type", host("  resources:\n    - user: al\n      uid: many\n"), "C105", (WEB, 7, 12), ["`uid`", "got a string", "expected an integer"]),
    ("wrong type of a document's key", host("  address: [1]\n"), "C105", (WEB, 5, 12), ["`address` is a list", "expected a string"]),
    ("bare number as mode", host("  resources:\n    - file: /a\n      mode: 644\n"), "C105", (WEB, 7, 13), ["bare number 644", 'quote it']),
    ("wrong choice", host("  resources:\n    - service: a\n      state: up\n"), "C105", (WEB, 7, 14), ["'up'", "expected one of running, stopped"]),
    ("wrong connection", host("  connection: telnet\n"), "C105", (WEB, 5, 15), ["telnet", "expected one of agent, ssh, local"]),
    ("wrong apiVersion", with_file("x.yaml", "apiVersion: gitops/v9\nkind: Module\nmetadata: {name: m}\n"), "C105", ("x.yaml", 1, 13), ["gitops/v9", "expected gitops/v1"]),
    ("missing required", host("  resources:\n    - symlink: /a\n"), "C106", (WEB, 6, 7), ["symlink:/a: `target` is missing", "expected a string"]),
    ("missing name", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Module\nmetadata: {}\n"), "C106", ("x.yaml", 3, 11), ["`name` is missing", "expected a name"]),
    ("missing selector", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {}\n"), "C106", ("x.yaml", 4, 7), ["`selector` is missing"]),
    ("bad name", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: My_Module}\n"), "C109", ("x.yaml", 3, 18), ["'My_Module'", "lower-case"]),
    ("reserved name", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Host\nmetadata: {name: index, labels: {env: production}}\n"), "C109", ("x.yaml", 3, 18), ["`index`"]),
    ("bare label", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Host\nmetadata: {name: n, labels: {env: production, n: 1}}\n"), "C105", ("x.yaml", 3, 50), ["label `n` is the number 1", "quote it"]),
    ("two kinds", host("  resources:\n    - package: a\n      service: a\n"), "C107", (WEB, 7, 7), ["`package` and `service`", "two resources"]),
    ("no kind", host("  resources:\n    - pakage: a\n"), "C103", (WEB, 6, 7), ["unknown kind of resource `pakage`", "did you mean `package`?"]),
    ("no kind, and no word near one", host("  resources:\n    - wombat: /x\n"), "C103", (WEB, 6, 7), ["unknown kind of resource `wombat`", "expected one of apt_repository, "]),
    ("no kind behind an attribute", host("  resources:\n    - mode: \"0600\"\n      fil: /x\n"), "C103", (WEB, 7, 7), ["`fil`", "did you mean `file`?"]),
    ("attributes alone", host("  resources:\n    - content: x\n"), "C103", (WEB, 6, 7), ["names no kind", "expected one of"]),
    ("two contents", host("  resources:\n    - file: /a\n      content: x\n      source: y\n"), "C110", (WEB, 8, 7), ["content and source"]),
    ("bad reference in needs", host("  resources:\n    - package: nginx\n    - file: /a\n      needs: [package:nginxx]\n"), "C201", (WEB, 8, 15), ["file:/a refers to `package:nginxx`", "web-1 does not have", "did you mean `package:nginx`?"]),
    ("bad reference in notify", host("  resources:\n    - file: /a\n      notify: [service:x]\n"), "C201", (WEB, 7, 16), ["`service:x`"]),
    ("no address in needs", host("  resources:\n    - file: /a\n      needs: [nginx]\n"), "C201", (WEB, 7, 15), ["'nginx'", "expected kind:name"]),
    ("cycle", host("  resources:\n    - file: /a\n      needs: [file:/b]\n    - file: /b\n      needs: [file:/a]\n"), "C210", (WEB, 7, 15), ["dependency cycle", "file:/a → file:/b → file:/a", "inventory/web.yaml:9:15"]),
    ("duplicate document", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: nginx}\n"), "C108", ("x.yaml", 1, 1), ["Module `nginx` is here twice", "rename or remove"]),
    ("duplicate address", host("  resources:\n    - file: /a\n    - file: /a\n"), "C202", (WEB, 7, 7), ["`file:/a` is declared twice"]),
    ("two modules one file", {**host("  modules: [nginx, other]\n"), "modules/other/module.yaml": "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: other}\nspec:\n  resources:\n    - symlink: /etc/nginx/site.conf\n      target: x\n"}, "C203", ("modules/other/module.yaml", 6, 7), ["/etc/nginx/site.conf has two owners", "file:/etc/nginx/site.conf and symlink:/etc/nginx/site.conf", "modules/nginx/module.yaml:10:7"]),
    ("file and directory", host("  resources:\n    - file: /a\n    - directory: /a\n"), "C203", (WEB, 7, 7), ["/a has two owners"]),
    ("unknown variable", host("  resources:\n    - file: /a\n      content: ${vars.domian}\n"), "C204", (WEB, 7, 16), ["unknown variable `domian`", "did you mean `domain`?"]),
    ("unknown variable in text", host("  resources:\n    - file: /a\n      content: \"x ${vars.y}\"\n"), "C204", (WEB, 7, 19), ["`y`"]),
    ("unknown label", host("  resources:\n    - file: /a\n      content: ${host.labels.zone}\n"), "C204", (WEB, 7, 16), ["unknown label `zone`", "web-1 has: env, role"]),
    ("label nearly right", host("  resources:\n    - file: /a\n      content: ${host.labels.rol}\n"), "C204", (WEB, 7, 16), ["unknown label `rol`", "did you mean `role`? web-1 has: env, role"]),
    ("label in a template", {**host("  resources:\n    - file: /a\n      template: a.j2\n"), "templates/a.j2": "{{ host.labels.rol }}"}, "C303", ("templates/a.j2", 1, 1), ["no key `rol`", "did you mean `role`? it has: env, role"]),
    ("part of a variable", host("  vars: {a: {port: 1}}\n  resources:\n    - file: /a\n      content: x${vars.a.prt}\n"), "C204", (WEB, 8, 17), ["unknown variable `a.prt`", "did you mean `port`?"]),
    ("item of a list", host("  vars: {a: [x, y]}\n  resources:\n    - file: /a\n      content: ${vars.a.7}\n"), "C204", (WEB, 8, 16), ["unknown variable `a.7`", "`vars.a` has: 0, 1"]),
    ("variable like no other", host("  resources:\n    - file: /a\n      content: ${vars.zzz}\n"), "C204", (WEB, 7, 16), ["unknown variable `zzz`", "there are: domain"]),
    ("parameter in a template", template("{{ params.prt }}"), "C303", ("modules/nginx/templates/site.conf.j2", 1, 1), ["unknown parameter `prt`", "did you mean `port`?"]),
    ("kind like another", host("  resources:\n    - servce: nginx\n"), "C103", (WEB, 6, 7), ["unknown kind of resource `servce`", "did you mean `service`?"]),
    ("kind like no other", host("  resources:\n    - wombat: /x\n"), "C103", (WEB, 6, 7), ["unknown kind of resource `wombat`", "expected one of"]),
    ("unknown parameter", with_file(NGINX, MODULE.replace("${params.name}", "${params.nam}")) | {WEB: HEAD + "  modules: [nginx]\n"}, "C205", (NGINX, 10, 24), ["unknown parameter `nam`", "did you mean `name`?"]),
    ("unknown secret", host("  resources:\n    - file: /a\n      content: ${secret.tokn}\n"), "C401", (WEB, 7, 16), ["unknown secret `tokn`", "did you mean `token`?"]),
    ("unknown module", host("  modules: [ngnix]\n"), "C206", (WEB, 5, 13), ["unknown module `ngnix`", "did you mean `nginx`?"]),
    ("unknown name of host", host("  resources:\n    - file: /a\n      content: ${host.nam}\n"), "C204", (WEB, 7, 16), ["`nam`", "did you mean `name`?"]),
    ("parameter of a wrong type", use("{port: x}"), "C207", (WEB, 7, 22), ["parameter `port` of module `nginx`", "'x' is not of type 'integer'"]),
    ("parameter out of bounds", use("{port: 0}"), "C207", (WEB, 7, 22), ["less than the minimum of 1"]),
    ("parameter nobody knows", use("{prt: 1}"), "C207", (WEB, 7, 21), ["no parameter `prt`", "did you mean `port`?"]),
    ("parameter missing", {**host("  modules: [nginx]\n"), NGINX: MODULE.replace(", default: 80", "")}, "C207", (WEB, 5, 13), ["needs the parameter `port`"]),
    ("default against its schema", with_file(NGINX, MODULE.replace("default: 80", "default: x")), "C207", (NGINX, 6, 48), ["the default of `port`"]),
    ("schema that is none", with_file(NGINX, MODULE.replace("type: integer", "type: intger")), "C218", (NGINX, 6, 18), ["the schema of `port`: `type` is the string 'intger', expected one of array, boolean, integer", "did you mean `integer`?"]),
    ("$ref to a file", with_file(NGINX, MODULE.replace("type: integer", '$ref: "file:///etc/passwd"')), "C218", (NGINX, 6, 18), ["`$ref`", "only `$ref: #/"]),
    ("$ref to a URL", with_file(NGINX, MODULE.replace("type: integer", '$ref: "http://192.0.2.1/x"')), "C218", (NGINX, 6, 18), ["`$ref`"]),
    ("$dynamicRef to a URL", with_file(NGINX, MODULE.replace("type: integer", '$dynamicRef: "http://192.0.2.1/x"')), "C218", (NGINX, 6, 25), ["leaves the document"]),
    ("$id elsewhere", with_file(NGINX, MODULE.replace("type: integer", '$id: "http://192.0.2.1/x"')), "C218", (NGINX, 6, 17), ["`$id`"]),
    ("$ref to nothing", with_file(NGINX, MODULE.replace("type: integer", '$ref: "#/x"')), "C218", (NGINX, 6, 18), ["leads nowhere: #/x"]),
    ("pattern that is none", with_file(NGINX, MODULE.replace("^[a-z]+$", "[")), "C218", (NGINX, 7, 35), ["the schema of `name`: `pattern` is the string '['", "expected a regular expression: unterminated"]),
    ("number of a variable", host("  vars: {port: 80}\n  resources:\n    - file: /a\n      content: ${vars.port}\n"), "C105", (WEB, 8, 16), ["got the number 80, expected a string", "quote it where it is set: inventory/web.yaml:5:16"]),
    ("number by way of two", host("  vars: {a: '${vars.b}', b: 80}\n  resources:\n    - file: /a\n      content: ${vars.a}\n"), "C105", (WEB, 8, 16), ["quote it where it is set: inventory/web.yaml:5:29"]),
    ("number of the project", {**host("  resources:\n    - file: /a\n      content: ${vars.n}\n"), "gitops.yaml": DOMAIN.replace("example.org", "x, n: 1")}, "C105", (WEB, 7, 16), ["quote it where it is set: gitops.yaml:8:24"]),
    ("number in a list of a variable", host("  vars: {l: [a, 5]}\n  resources:\n    - command: x\n      argv: ${vars.l}\n"), "C105", (WEB, 8, 13), ["got the number 5 in the list", "quote it where it is set: inventory/web.yaml:5:17"]),
    ("number brought into a list", host("  vars: {n: 5}\n  resources:\n    - command: x\n      argv: [a, '${vars.n}']\n"), "C105", (WEB, 8, 13), ["quote it where it is set: inventory/web.yaml:5:13"]),
    ("number of a map brought into one", host("  vars: {m: {A: true}}\n  resources:\n    - command: x\n      argv: [x]\n      env: ${vars.m}\n"), "C105", (WEB, 9, 12), ["quote it where it is set: inventory/web.yaml:5:17"]),
    ("mode of a variable", host("  vars: {m: 644}\n  resources:\n    - file: /a\n      mode: ${vars.m}\n"), "C105", (WEB, 8, 13), ["got the bare number 644", "quote it where it is set: inventory/web.yaml:5:13"]),
    ("number as a name", host("  vars: {n: 5}\n  resources:\n    - package: ${vars.n}\n"), "C105", (WEB, 7, 16), ["the name of a package is the number 5", "quote it where it is set: inventory/web.yaml:5:13"]),
    ("number of a parameter", {**use("{port: 81}"), NGINX: MODULE.replace("template: site.conf.j2", "content: ${params.port}")}, "C105", (NGINX, 11, 16), ["quote it where it is set: inventory/web.yaml:7:22"]),
    ("number that is written here", host("  resources:\n    - file: /a\n      content: 80\n"), "C105", (WEB, 7, 16), ["got the number 80, expected a string", "| quote it"]),
    ("YAML in capitals", with_file("inventory/b.YAML", HEAD), "C616", ("inventory/b.YAML", 1, 1), ["got `inventory/b.YAML`, expected `inventory/b.yaml`"]),
    ("YML in capitals", with_file("b.Yml", HEAD), "C616", ("b.Yml", 1, 1), ["expected `b.yml`"]),
    ("CUE in capitals", with_file("b.CUE", "x: 1\n"), "C616", ("b.CUE", 1, 1), ["expected `b.cue`"]),
    ("capitals beside the right name", with_file("inventory/web.YAML", HEAD), "C616", ("inventory/web.YAML", 1, 1), ["expected `inventory/web.yaml`", "rename or remove it"]),
    ("project in capitals", {**{key: text for key, text in BASE.items() if key != "gitops.yaml"}, "gitops.YAML": DOMAIN}, "C616", ("gitops.YAML", 1, 1), ["expected `gitops.yaml`"]),
    ("provider as yml", with_file("providers/x/provider.yml", "x: 1\n"), "C616", ("providers/x/provider.yml", 1, 1), ["expected `providers/x/provider.yaml`"]),
    ("provider in CUE", with_file("providers/x/Provider.cue", "x: 1\n"), "C616", ("providers/x/Provider.cue", 1, 1), ["expected `providers/x/provider.yaml`"]),
    ("folder in capitals", with_file("Modules/x/module.cue", "package module\n"), "C616", ("Modules/x/module.cue", 1, 1), ["expected `modules/x/module.cue`"]),
    ("params in capitals", with_file("modules/nginx/Params.cue", "package module\n"), "C616", ("modules/nginx/Params.cue", 1, 1), ["expected `modules/nginx/params.cue`"]),
    ("templates in capitals", {**host("  resources:\n    - file: /a\n      template: a.j2\n"), "Templates/a.j2": "x"}, "C301", (WEB, 7, 17), ["templates/a.j2 is missing", "there is `Templates/a.j2`"]),
    ("template nearly right", {**host("  resources:\n    - file: /a\n      template: pgae.j2\n"), "templates/page.j2": "x"}, "C301", (WEB, 7, 17), ["did you mean `page.j2`?"]),
    ("secret as parameter", use("{name: '${secret.token}'}"), "C403", (WEB, 7, 22), ["holds a secret"]),
    ("same module, other parameters", host("  modules:\n    - nginx\n    - {name: nginx, params: {port: 81}}\n"), "C208", (WEB, 7, 14), ["different parameters on web-1"]),
    ("circle of variables", host("  vars: {a: '${vars.b}', b: '${vars.a}'}\n"), "C209", (WEB, 5, 13), ["a → b → a"]),
    ("secret in a variable", host("  vars: {a: '${secret.token}'}\n"), "C403", (WEB, 5, 13), ["variable `a` holds a secret"]),
    ("secret in an attribute", host("  resources:\n    - user: a\n      comment: ${secret.token}\n"), "C403", (WEB, 7, 16), ["would be seen by everybody"]),
    ("secret in a name", host("  resources:\n    - user: ${secret.token}\n"), "C105", (WEB, 6, 13), ["the name of a user"]),
    ("secret in for_each", host("  resources:\n    - user: u${each.key}\n      for_each: ['${secret.token}']\n"), "C403", (WEB, 7, 17), ["for_each"]),
    ("secret in a reference", host("  resources:\n    - user: u\n      needs: ['${secret.token}']\n"), "C201", (WEB, 7, 15), ["expected an address"]),
    ("template missing", host("  resources:\n    - file: /a\n      template: no.j2\n"), "C301", (WEB, 7, 17), ["templates/no.j2 is missing", "look in templates/"]),
    ("source missing", host("  resources:\n    - file: /a\n      source: no\n"), "C301", (WEB, 7, 15), ["files/no is missing"]),
    ("template syntax", template("a\n{% if %}\n"), "C302", (SITE, 2, 1), ["template syntax"]),
    ("undefined name in a template", template("a\nb {{ params.prt }}\n"), "C303", (SITE, 2, 1), ["prt"]),
    ("undefined root in a template", template("{{ port }}"), "C303", (SITE, 1, 1), ["`port`", "templates see: host, hosts(), params, secret, vars"]),
    ("near name in a template", template("{{ params.prot }}"), "C303", (SITE, 1, 1), ["unknown parameter `prot`", "did you mean `port`?"]),
    ("unknown name in a template", template("{{ params.wombat }}"), "C303", (SITE, 1, 1), ["unknown parameter `wombat`", "there are: name, port"]),
    ("near root in a template", template("{{ prams.port }}"), "C303", (SITE, 1, 1), ["`prams`", "did you mean `params`?"]),
    ("unknown label in a template", template("{{ host.labels.rol }}"), "C303", (SITE, 1, 1), ["the map has no key `rol`", "did you mean `role`?"]),
    ("undefined in a list of a template", template("{{ [params.prt] }}"), "C303", (SITE, 1, 1), ["unknown parameter `prt`"]),
    ("method of our own class", template("{{ params() }}"), "C304", (SITE, 1, 1), ["'map' object is not callable"]),
    ("undefined inside a loop", template("\n{% for x in [1] %}\n{{ x.y }}\n{% endfor %}"), "C303", (SITE, 3, 1), ["y"]),
    ("escape from the sandbox", template("\n\n{{ ''.__class__.__mro__ }}"), "C304", (SITE, 3, 1), ["not allowed"]),
    ("include of another file", template("{% include 'x' %}"), "C304", (SITE, 1, 1), ["not allowed"]),
    ("unknown filter", template("{{ 1|nope }}"), "C302", (SITE, 1, 1), ["nope"]),
    ("division by zero", template("{{ 1 // 0 }}"), "C304", (SITE, 1, 1), ["ZeroDivisionError"]),
    ("template that recurses", template("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "C306", (SITE, 1, 1), ["too deeply"]),
    ("template too deeply nested", template("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"), "C306", (SITE, 1, 1), ["too deeply"]),
    ("secret transformed", template("{{ secret.token | upper }}"), "C404", (SITE, 1, 1), ["placed, not transformed"]),
    ("unknown secret in a template", template("\n{{ secret.tokn }}"), "C401", (SITE, 2, 1), ["unknown secret `tokn`", "did you mean `token`?"]),
    ("output too large", template("{% for x in range(200) %}{{ 'x' * 100000 }}{% endfor %}"), "C306", (SITE, 1, 1), ["larger than"]),
    ("template not UTF-8", {**template(""), SITE: b"\xff"}, "C704", (SITE, 1, 1), ["not UTF-8"]),  # type: ignore[dict-item]
    ("NUL in a template", template("a\n\0"), "C704", (SITE, 2, 1), ["NUL"]),
    ("path out of templates", host("  resources:\n    - file: /a\n      template: ../gitops.yaml\n"), "C305", (WEB, 7, 17), ["leaves templates/"]),
    ("absolute source", host("  resources:\n    - file: /a\n      source: /etc/passwd\n"), "C305", (WEB, 7, 15), ["leaves files/"]),
    ("relative managed path", host("  resources:\n    - file: a/b\n"), "C105", (WEB, 6, 13), ["'a/b'", "absolute path"]),
    ("managed path with ..", host("  resources:\n    - file: /a/../b\n"), "C105", (WEB, 6, 13), ["without `.`, `..`"]),
    ("unknown fact", host("  resources:\n    - file: /a\n      when: {os.famly: debian}\n"), "C214", (WEB, 7, 14), ["unknown fact `os.famly`", "did you mean `os.family`?"]),
    ("for_each over text", host("  resources:\n    - file: /a\n      for_each: ${vars.domain}\n"), "C215", (WEB, 7, 17), ["expected a list or a map"]),
    ("malformed reference", host("  resources:\n    - file: /a\n      content: \"${vars.domain\"\n"), "C216", (WEB, 7, 17), ["without its `}`", "$${"]),
    ("logic in a reference", host("  resources:\n    - file: /a\n      content: ${vars.domain | upper}\n"), "C216", (WEB, 7, 16), ["is not a reference"]),
    ("a list inside text", host("  vars: {l: [1]}\n  resources:\n    - file: /a\n      content: \"x ${vars.l}\"\n"), "C217", (WEB, 8, 19), ["a list cannot stand inside text"]),
    ("null inside text", host("  vars: {l: null}\n  resources:\n    - file: /a\n      content: \"x ${vars.l}\"\n"), "C217", (WEB, 8, 19), ["nothing cannot stand inside text"]),
    ("integer beyond 2^53", host("  resources:\n    - command: c\n      argv: [a]\n      timeout: 9007199254740993\n"), "C105", (WEB, 8, 16), ["9007199254740993"]),
    ("float for an integer", host("  resources:\n    - user: u\n      uid: 1.5\n"), "C105", (WEB, 7, 12), ["uid"]),
    ("selector matching no host", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {selector: {role: db}}\n"), "C211", ("x.yaml", 1, 1), ["group `g` matches no host", "no host has `role: db`, there are: web"]),
    ("selector of an unknown label", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {selector: {rol: web}}\n"), "C211", ("x.yaml", 1, 1), ["no host has the label `rol`, did you mean `role`? there are: env, role"]),
    ("host in no environment", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Host\nmetadata: {name: n}\n"), "C213", ("x.yaml", 1, 1), ["`n` is in no environment"]),
    ("host in two environments", with_file(GITOPS, DOMAIN.replace("  vars:", "    second: {hosts: {}}\n  vars:")), "C212", (WEB, 1, 1), ["production and second"]),
    ("two environments with one release branch", with_file(GITOPS, DOMAIN.replace("  vars:", "    second: {hosts: {env: b}, release: refs/heads/release/production}\n  vars:") + OTHER), "C222", (GITOPS, 8, 13), ["production and second", "released to release/production"]),
    ("a release branch that is the source", with_file(GITOPS, DOMAIN.replace("  vars:", "    second: {hosts: {env: b}, release: main}\n  vars:") + OTHER), "C222", (GITOPS, 8, 13), ["released to main, which is what production is released from"]),
    ("two projects", with_file("x.yaml", PROJECT.replace("acme", "other")), "C102", ("x.yaml", 1, 1), ["more than one Project"]),
    ("approvals from nobody", with_file(GITOPS, DOMAIN.replace("hosts: {env: production}", "hosts: {env: production}\n      approvals: {required: 1}")), "C105", (GITOPS, 8, 18), ["`required` needs people"]),
    ("secret source nobody knows", with_file(GITOPS, DOMAIN.replace("from: env", "from: air")), "C105", (GITOPS, 10, 19), ["air"]),
    ("secret without key", with_file(GITOPS, DOMAIN.replace(", key: TOKEN", "")), "C106", (GITOPS, 10, 12), ["`key` is missing"]),
    ("priority that is no integer", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {selector: {}, priority: high}\n"), "C105", ("x.yaml", 4, 32), ["expected an integer"]),
    ("vars that are no map", host("  vars: 1\n"), "C105", (WEB, 5, 9), ["`vars` is the number 1", "expected a map"]),
    ("resources that are no list", host("  resources: {}\n"), "C105", (WEB, 5, 14), ["is a map", "expected a list"]),
    ("resource that is no map", host("  resources: [nginx]\n"), "C105", (WEB, 5, 15), ["a resource is the string 'nginx'", "expected a map"]),
    ("name that is no string", host("  resources: [{user: 1}]\n"), "C105", (WEB, 5, 22), ["the name of a user is the number 1"]),
    ("module without name", host("  modules: [{params: {}}]\n"), "C106", (WEB, 5, 13), ["`name` is missing"]),
    ("module of a wrong type", host("  modules: [1]\n"), "C105", (WEB, 5, 13), ["expected a map"]),
    ("facts of a wrong type", host("  resources: [{file: /a, when: {os.name: 1}}]\n"), "C105", (WEB, 5, 42), ["os.name is the number 1"]),
    ("when that is no map", host("  resources: [{file: /a, when: debian}]\n"), "C105", (WEB, 5, 32), ["expected a map"]),
    ("selector that is no map", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {selector: web}\n"), "C105", ("x.yaml", 4, 18), ["a selector is the string 'web'"]),
    ("selector of numbers", with_file("x.yaml", "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {selector: {role: 1}}\n"), "C105", ("x.yaml", 4, 25), ["selector `role`"]),
    ("environment with a bad name", with_file(GITOPS, DOMAIN.replace("  vars:", "    Second: {hosts: {}}\n  vars:")), "C109", (GITOPS, 8, 13), ["'Second' is not a valid environment name"]),
    ("approvers of a wrong type", with_file(GITOPS, DOMAIN.replace("hosts: {env: production}", "hosts: {env: production}\n      approvals: {from: [1]}")), "C105", (GITOPS, 8, 26), ["a list of strings"]),
    ("signed of a wrong type", with_file(GITOPS, DOMAIN.replace("hosts: {env: production}", "hosts: {env: production}\n      approvals: {signed: 1}")), "C105", (GITOPS, 8, 27), ["expected true or false"]),
    ("names of users that are options", host("  resources: [{user: -rf}]\n"), "C109", (WEB, 5, 22), ["'-rf' is not a name for a user"]),
    ("source that is no string", host("  resources: [{file: /a, source: 1}]\n"), "C105", (WEB, 5, 34), ["source"]),
    ("index out of a list", host("  vars: {l: [1]}\n  resources: [{file: /a, content: \"${vars.l.5}\"}]\n"), "C204", (WEB, 6, 36), ["`l.5`"]),
    ("for_each that names nothing", host("  resources: [{file: \"/${each.kez}\", for_each: [1]}]\n"), "C215", (WEB, 5, 24), ["`kez`", "did you mean `key`?"]),
    ("map as content", host("  resources: [{file: /a, content: {blob: x}}]\n"), "C105", (WEB, 5, 35), ["content"]),
    ("bad CUE", with_file("x.cue", "a: [\n"), "C502", ("x.cue", 1, 6), ["expected ']'"]),
    ("YAML syntax", with_file("x.yaml", "a: [1\nb: 2\n"), "C701", ("x.yaml", 2, 2), ["YAML syntax"]),
    ("unquoted reference in a flow map", with_file("x.yaml", "a: {b: ${vars.x}, c: 1}\n"), "C701", ("x.yaml", 1, 9), ["YAML syntax", "quote `${…}`"]),
    ("tab in the indentation", with_file("x.yaml", "a:\n\tb: 1\n"), "C701", ("x.yaml", 2, 1), ["a tab in the indentation", "indent with blanks"]),
    ("duplicate key", with_file("x.yaml", "kind: Host\nkind: Host\n"), "C702", ("x.yaml", 2, 1), ["`kind` is here twice"]),
    ("key that is no string", with_file("x.yaml", "1: a\n"), "C703", ("x.yaml", 1, 1), ["must be a string", "quote it"]),
    ("NUL", with_file("x.yaml", b"a: 1\nb: \0\n"), "C704", ("x.yaml", 2, 4), ["NUL"]),
    ("non-UTF-8", with_file("x.yaml", "a: 1\nü: ".encode() + b"\xff\n"), "C704", ("x.yaml", 2, 4), ["not UTF-8", "0xff"]),
    ("UTF-16", with_file("x.yaml", "a: 1\n".encode("utf-16")), "C704", ("x.yaml", 1, 1), ["UTF-16"]),
    ("tag", with_file("x.yaml", "a: !!python/object:os.system x\n"), "C705", ("x.yaml", 1, 4), ["is not allowed"]),
    ("alias without anchor", with_file("x.yaml", "a: *b\n"), "C705", ("x.yaml", 1, 4), ["*b"]),
    ("number too large for a number", host("  vars: {x: 1e999}\n"), "C105", (WEB, 5, 13), ["the number 1e999 is too large", 'quote it: "1e999"']),
    ("alias to itself", with_file("x.yaml", "a: &a [*a]\n"), "C705", ("x.yaml", 1, 8), ["*a"]),
    ("merge of a list", with_file("x.yaml", "<<: 1\n"), "C705", ("x.yaml", 1, 5), ["`<<` merges a map"]),
    ("30 MB file", with_file("x.yaml", b"a: b\n" * 6_300_000), "C603", ("x.yaml", 1, 1), ["too large: 31500000 bytes", "split it"]),
    ("alias bomb", with_file("x.yaml", "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9))), "C604", ("x.yaml", 6, 8), ["more than 200000"]),
    ("merge bomb", with_file("x.yaml", "a0: &a0 {" + ",".join(f"k{n}: 1" for n in range(900)) + "}\n" + "b: [" + ",".join(["{<<: [" + ",".join(["*a0"] * 50) + "]}"] * 50) + "]\n"), "C604", ("x.yaml", 2, 0), ["more than 200000"]),
    ("10,000 levels", with_file("x.yaml", "[" * 10_000 + "]" * 10_000), "C605", ("x.yaml", 1, 1001), ["deeper than 64"]),
    ("10,000 levels of maps", with_file("x.yaml", "{a: " * 10_000 + "1" + "}" * 10_000), "C605", ("x.yaml", 1, 257), ["deeper than 64"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "code", "place", "words"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_mistake_has_its_code_place_and_words(
    tmp_path: Path, files: Mapping[str, str | bytes], code: str, place: tuple[str, int, int], words: list[str]
) -> None:
    found = examine(tmp_path, files).diagnostics
    assert found, "nothing was found"
    item = found[0]
    where = (item.place.file, item.place.line, item.place.column if place[2] else 0)
    assert (item.code, where) == (code, place), [f"{one.code} {one.place} {one.message}" for one in found]
    assert len(found) == 1, [f"{one.code} {one.place} {one.message}" for one in found]
    shown = show(item)
    assert [word for word in words if word not in shown] == [], shown


def show(item: Diagnostic) -> str:
    return " | ".join([item.message, item.hint, *item.notes, *map(str, item.related)])


def test_all_mistakes_are_found_in_one_run_and_sorted(tmp_path: Path) -> None:
    files = {
        **BASE,
        "gitops.yaml": DOMAIN + "  unknwon: 1\n",
        "a.yaml": "a: [1\n",
        "b.yaml": "kind: Hots\n",
        "c.cue": "x: [\n",
        "inventory/web.yaml": HEAD
        + "  resources:\n    - file: /a\n      contents: x\n    - file: /b\n      needs: [file:/a, b]\n    - user: u\n      uid: x\n"
        + "    - {package: a, service: a}\n    - file: /t\n      template: gone.j2\n  modules: [nginx]\n",
        SITE: "{% if %}",
    }
    found = examine(tmp_path, files).diagnostics
    assert [(item.code, str(item.place)) for item in found] == [
        ("C701", "a.yaml:2:1"),
        ("C101", "b.yaml:1:7"),
        ("C502", "c.cue:1:6"),
        ("C104", "gitops.yaml:11:3"),
        ("C104", "inventory/web.yaml:7:7"),
        ("C201", "inventory/web.yaml:9:24"),
        ("C105", "inventory/web.yaml:11:12"),
        ("C107", "inventory/web.yaml:12:20"),
        ("C301", "inventory/web.yaml:14:17"),
        ("C302", f"{SITE}:1:1"),
    ]


@pytest.mark.parametrize(
    ("files", "other"),
    [
        (host("  modules: [nginx]\n  resources:\n    - file: /a\n      contents: x\n"), "C104"),
        ({**host("  modules: [nginx]\n"), NGINX: MODULE.replace("      template:", "      ower: root\n      template:")}, "C104"),
        ({**host("  modules: [nginx]\n"), NGINX: MODULE.replace("type: integer", "type: intger")}, "C218"),
        (use("{port: 0}"), "C207"),
        (use("{port: '${vars.nope}'}"), "C204"),
        ({**host("  modules: [nginx]\n"), NGINX: MODULE.replace("${params.name}", "${params.nme}")}, "C205"),
        ({**host("  modules: [ngnix]\n")}, "C206"),
        ({**host("  modules: [nginx]\n"), "a.yaml": "a: [1\n"}, "C701"),
    ],
)
def test_a_templates_syntax_is_told_beside_mistakes_of_other_stages(tmp_path: Path, files: Mapping[str, str], other: str) -> None:
    found = examine(tmp_path, {**files, SITE: "listen\n{% if %}\n"}).diagnostics
    assert {item.code for item in found} == {"C302", other}
    assert [str(item.place) for item in found if item.code == "C302"] == [f"{SITE}:2:1"]


@pytest.mark.parametrize(
    "path", [".hidden/b.YAML", "files/b.YAML", "modules/nginx/files/b.YAML", "providers/x/data.YAML", "b.yaml.txt", "docs/YAML"]
)
def test_files_that_are_nobodys_documents_may_be_named_as_they_like(tmp_path: Path, path: str) -> None:
    assert examine(tmp_path, with_file(path, "anything: [\n")).diagnostics == ()


def test_a_template_that_no_resource_names_is_nobodys(tmp_path: Path) -> None:
    found = examine(tmp_path, {**BASE, "modules/nginx/templates/other.j2": "{% if %}", "templates/x.j2": b"\xff"})
    assert found.diagnostics == ()


def test_a_template_in_bytes_is_told_though_its_resource_is_wrong(tmp_path: Path) -> None:
    files = {**host("  resources:\n    - file: /a\n      ower: x\n      template: x.j2\n"), "templates/x.j2": b"a\n\xff"}
    found = examine(tmp_path, files).diagnostics
    assert [(item.code, str(item.place)) for item in found] == [
        ("C104", "inventory/web.yaml:7:7"),
        ("C704", "templates/x.j2:2:1"),
    ]


@pytest.mark.parametrize(
    ("files", "places"),
    [
        (
            host("  resources:\n    - file: /a\n      content: '${vars.a} ${vars.b}'\n      owner: ${vars.c}\n"),
            ["7:17", "7:27", "8:14"],
        ),
        (
            host("  resources:\n    - command: x\n      argv: ['${vars.a}', x, '${host.b}', '${each.c}']\n"),
            ["7:15", "7:31", "7:44"],
        ),
        (
            host("  resources:\n    - file: /a\n      content: ${vars.a}\n      needs: ['${vars.b}', 'x']\n"),
            ["7:16", "8:16", "8:28"],
        ),
        (
            host("  vars: {n: 5}\n  resources:\n    - file: /a\n      content: ${vars.a}\n      owner: ${vars.n}\n"),
            ["8:16", "9:14"],
        ),
        (host("  resources:\n    - user: u${each.key}\n      for_each: ['${vars.a}', '${vars.b}']\n"), ["7:19", "7:32"]),
        (use("{port: '${vars.a}', name: 'x${vars.b}${vars.c}'}"), ["7:23", "7:43", "7:52"]),
        (host("  resources:\n    - file: /a\n      content: '${vars.a ${host.b}'\n"), ["7:17"]),
    ],
)
def test_every_reference_of_a_resource_is_told_at_once(tmp_path: Path, files: Mapping[str, str], places: list[str]) -> None:
    found = examine(tmp_path, files).diagnostics
    assert [f"{item.place.line}:{item.place.column}" for item in found] == places, [f"{i.place} {i.message}" for i in found]


def test_variables_that_all_refer_to_each_other_are_told_in_time(tmp_path: Path) -> None:
    """Each circle is told once, not every path through them."""
    names = "abcdefghijklmnop"
    table = ", ".join(f"{name}: '{''.join(f'${{vars.{other}}}' for other in names)}'" for name in names)
    found = examine(
        tmp_path, host(f"  vars: {{{table}}}\n  resources:\n    - file: /a\n      content: ${{vars.a}}\n")
    ).diagnostics
    assert {item.code for item in found} == {"C209"}
    assert len(found) <= len(names)


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("modules/nginx/module.yaml", "a: [\n"),
        ("modules/nginx/module.yaml", "kind: Modul\n"),
        ("modules/nginx/module.yaml", MODULE.replace("name: nginx", "name: Nginx")),
        ("groups.yaml", "a: b: c\n"),
        ("gitops.yaml", "a: [\n"),
        ("gitops.yaml", b"\xff"),
    ],
)
def test_a_broken_file_causes_no_errors_elsewhere(tmp_path: Path, path: str, broken: str | bytes) -> None:
    """The host uses a module, variables, a secret, an environment and a reference that these files may define."""
    files = {
        **host(
            "  modules: [nginx]\n  resources:\n    - file: /a\n      content: ${vars.domain} ${vars.of_group} ${secret.token}\n"
            "      needs: [service:nginx, user:of_group]\n    - file: /b\n      template: page.j2\n"
        ),
        "templates/page.j2": "{{ vars.of_group }}",
        "groups.yaml": "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {selector: {}, vars: {of_group: x}, resources: [{user: of_group}]}\n",
    }
    assert examine(tmp_path / "whole", files).diagnostics == ()
    found = examine(tmp_path / "broken", {**files, path: broken}).diagnostics
    assert [item.place.file for item in found] == [path], [f"{one.code} {one.place} {one.message}" for one in found]


@pytest.mark.parametrize(
    "resource",
    [
        "{package: nginx, versoin: x}",
        "{package: nginx, state: up}",
        "{package: nginx, source: a}",
        "{package: nginx, service: nginx}",
    ],
)
def test_a_broken_resource_causes_no_errors_where_it_is_needed(tmp_path: Path, resource: str) -> None:
    found = examine(tmp_path, host(f"  resources:\n    - {resource}\n    - file: /a\n      needs: [package:nginx]\n")).diagnostics
    assert [item.place.line for item in found] == [6], [f"{one.code} {one.place} {one.message}" for one in found]


def test_every_code_is_in_the_catalogue() -> None:
    assert {row[2] for row in ROWS} <= set(CODES)
