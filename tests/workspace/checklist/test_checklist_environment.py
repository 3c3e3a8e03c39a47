"""Environment variables and their template; secrets that are kept in the repository."""

import pytest

from flynn.workspace.checklist.environment import documented_environment
from flynn.workspace.checklist.secrets import committed_secrets
from tests.workspace.checklist.conftest import Judge, compose
from tests.workspace.plant import Files

PASSED, FAILED = "passed", "failed"
READ = "import os\n\nkey = os.environ['API_KEY']\n"


@pytest.mark.parametrize(
    ("files", "verdict", "places"),
    [
        ({"a.py": READ, ".env.example": "API_KEY=\n"}, PASSED, [".env.example:1"]),
        ({"a.py": READ, ".env.example": "# API_KEY=none\n"}, PASSED, [".env.example:1"]),
        ({"a.py": READ, "back/.env.sample": "export API_KEY=\n"}, PASSED, ["back/.env.sample:1"]),
        ({"a.py": READ, "README.md": "Set `API_KEY` first."}, PASSED, [":"]),
        ({"a.py": READ, ".env.example": "OTHER=\n", "README.md": "API_KEY"}, FAILED, ["a.py:3"]),
        ({"a.py": READ}, FAILED, ["a.py:3"]),
        ({"a.py": "import os\nos.getenv('HOME'), os.environ['CI'], os.environ['LC_ALL']\n"}, PASSED, [":"]),
        ({"a.py": "# os.environ['API_KEY']\n"}, PASSED, [":"]),
        ({"tests/a.py": READ, "test_b.py": READ}, PASSED, [":"]),
    ],
)
def test_environment(judge: Judge, files: Files, verdict: str, places: list[str]) -> None:
    assert judge(documented_environment, files) == (verdict, places)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "x = os.environ.get('API_KEY', '')"),
        ("a.py", 'x = os.getenv("API_KEY")'),
        ("a.py", "x = environment.get('API_KEY')"),
        ("a.js", "const x = process.env.API_KEY"),
        ("a.ts", "const x = process.env['API_KEY']"),
        ("a.ts", "const x = import.meta.env.API_KEY"),
        ("a.ts", 'const x = Deno.env.get("API_KEY")'),
        ("a.go", 'x := os.Getenv("API_KEY")'),
        ("a.rb", "x = ENV.fetch('API_KEY')"),
        ("a.rs", 'let x = std::env::var("API_KEY");'),
        ("a.java", 'String x = System.getenv("API_KEY");'),
        ("a.php", "$x = getenv('API_KEY');"),
        ("a.cs", 'var x = Environment.GetEnvironmentVariable("API_KEY");'),
        ("a.ex", 'x = System.fetch_env!("API_KEY")'),
        ("a.sh", ': "${API_KEY:?is missing}"'),
    ],
)
def test_every_way_to_read_a_variable(judge: Judge, path: str, line: str) -> None:
    assert judge(documented_environment, {path: f"begin\n{line}\n"}) == (FAILED, [f"{path}:2"])
    assert judge(documented_environment, {path: f"{line}\n", ".env.example": "API_KEY=\n"})[0] == PASSED


def test_fields_of_pydantic_settings(judge: Judge) -> None:
    code = """
        from pydantic_settings import BaseSettings, SettingsConfigDict


        class Settings(BaseSettings):
            model_config = SettingsConfigDict(env_prefix="APP_")

            DATABASE_URL: str
            port: int = 8000
            key: SecretStr = Field(
                default="", validation_alias="API_KEY"
            )
            made: str = make()
            kind: ClassVar[str] = "x"


        class Other(BaseModel):
            name: str
        """
    assert judge(documented_environment, {"a.py": code}) == (FAILED, ["a.py:7", "a.py:8", "a.py:9"])
    template = "APP_DATABASE_URL=\nAPP_PORT=8000\nAPI_KEY=\n"
    assert judge(documented_environment, {"a.py": code, ".env.example": template})[0] == PASSED


def test_variables_of_compose_and_workflows(judge: Judge) -> None:
    service = """
web:
  image: x/y:${TAG:-${DEFAULT_TAG}}
  command: echo $$NOT_OURS $PLAIN
  environment:
    PASSED_ON:
    GIVEN: ${FROM_OUTSIDE:?needed}
  # ${COMMENT}
"""
    workflow = """
        on: push
        jobs:
          a:
            runs-on: x
            env:
              TOKEN: ${{ secrets.DEPLOY_TOKEN }}
              OTHER: ${{ secrets.GITHUB_TOKEN }} ${{ vars.REGION }}
            steps: []
        """
    files = {"compose.yml": compose(service), ".github/workflows/ci.yml": workflow}
    found = (
        [f"compose.yml:{line}" for line in (3, 3, 4, 6, 7)],
        [f".github/workflows/ci.yml:{line}" for line in (6, 7)],
    )
    verdict, places = judge(documented_environment, files)
    assert (verdict, sorted(places)) == (FAILED, sorted([*found[0], *found[1]]))
    names = ["TAG", "DEFAULT_TAG", "PLAIN", "PASSED_ON", "FROM_OUTSIDE"]
    files[".env.example"] = "".join(f"{name}=\n" for name in names)
    files["docs/deploy.md"] = "The workflow needs DEPLOY_TOKEN and REGION."
    assert judge(documented_environment, files)[0] == PASSED


TOKEN = "ghp_" + "".join(chr(97 + n % 26) + str(n % 10) for n in range(18))
KEY = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(
    ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 12
)


@pytest.mark.parametrize(
    ("files", "verdict", "places"),
    [
        ({".env": "PORT=8000\nAPI_KEY=kf83kd93kfl39dkw\n"}, FAILED, [".env:2"]),
        ({"back/.env.production": "DB_PASSWORD='b7Kp-22q'\n"}, FAILED, ["back/.env.production:1"]),
        (
            {".env": "API_KEY=\nDB_PASSWORD=changeme\nSECRET_FILE=/run/secret\nTOKEN=${TOKEN}\n"},
            PASSED,
            [":"],
        ),
        ({".env.example": "API_KEY=kf83kd93kfl39dkw\n"}, PASSED, [":"]),
        ({"deploy/id_ed25519": "x"}, FAILED, ["deploy/id_ed25519:"]),
        ({"a.py": f"x = 1\ntoken = '{TOKEN}'\n"}, FAILED, ["a.py:2"]),
        ({"tests/a.py": f"token = '{TOKEN}'\n"}, PASSED, [":"]),
        ({"a.py": "token = 'ghp_" + "x" * 36 + "'\n"}, PASSED, [":"]),
        ({"certs/key.pem": f"begin\n{KEY}\n-----END PRIVATE KEY-----\n"}, FAILED, ["certs/key.pem:2"]),
        ({"a.py": "u = 'postgresql://app:hT5-kk29@db.example.com/x'\n"}, FAILED, ["a.py:1"]),
        ({"a.py": "u = 'postgresql://app:hT5-kk29@localhost:5432/x'\n"}, PASSED, [":"]),
        ({"a.py": "u = f'postgresql://app:{password}@db.example.com/x'\n"}, PASSED, [":"]),
        ({"README.md": "postgresql://user:password@host.example/name\n"}, PASSED, [":"]),
        (
            {
                "compose.yml": compose(
                    "db:\n  image: postgres:16\n  environment: {POSTGRES_PASSWORD: b7Kp-22q}"
                )
            },
            FAILED,
            ["compose.yml:4"],
        ),
        (
            {
                "compose.yml": compose(
                    "db:\n  image: postgres:16\n  environment: ['POSTGRES_PASSWORD=${PG:-localdev123}']"
                )
            },
            PASSED,
            [":"],
        ),
    ],
)
def test_secrets(judge: Judge, files: Files, verdict: str, places: list[str]) -> None:
    assert judge(committed_secrets, files) == (verdict, places)
